//! Servers whose certificate nobody has signed: one certificate that is known by its fingerprint, or, with
//! `insecure_skip_verify`, any. Neither its name nor its dates matter then; the far end must prove that it holds the key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::fingerprint::Fingerprint;

/// Which certificates are taken for good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// Every one.
    Any,
    /// This one.
    Only(Fingerprint),
}

/// Looks at the certificate itself, whoever signed it.
#[derive(Debug)]
pub(super) struct Unsigned {
    takes: Takes,
    provider: Arc<CryptoProvider>,
}

impl Unsigned {
    pub(super) fn new(takes: Takes, provider: Arc<CryptoProvider>) -> Unsigned {
        Unsigned { takes, provider }
    }
}

impl ServerCertVerifier for Unsigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint::of(end_entity);
        match self.takes {
            Takes::Only(pinned) if shown != pinned => Err(Error::General(format!(
                "the server shows another certificate than the pinned one: SHA-256 {shown}"
            ))),
            Takes::Only(_) | Takes::Any => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
