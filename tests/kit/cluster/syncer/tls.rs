//! TLS of a source, by what the API was given: the source must show the certificate that is written, and be called what
//! is written; what the documents leave open is taken strictly. Without a certificate of its own the syncer shows none.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The fields of a source that is reached over TLS, as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `server_cert`
    pub server_cert: String,
    /// `client_cert` and `client_key`
    pub client: Option<(String, String)>,
    /// `replication_tls_sni`
    pub server_name: Option<String>,
}

impl Encryption {
    /// What is wrong with the fields, if anything is.
    pub fn mistake(&self) -> Option<String> {
        self.configuration().err().map(|error| error.to_string())
    }

    /// The handshake with a source at `host`.
    pub async fn connect(&self, socket: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let configuration = self.configuration().map_err(io::Error::other)?;
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(configuration))
            .connect(name, socket)
            .await
    }

    fn configuration(&self) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
        let provider = Arc::new(ring::default_provider());
        let known = Known {
            certificates: chain(&self.server_cert)?,
            is_named: self.server_name.is_some(),
            provider: Arc::clone(&provider),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(known));
        Ok(match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(
                chain(certificate)?,
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
        })
    }
}

fn chain(
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, Box<dyn std::error::Error + Send + Sync>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?;
    if chain.is_empty() {
        return Err("no certificate".into());
    }
    Ok(chain)
}

/// The certificates that a source may show.
#[derive(Debug)]
struct Known {
    certificates: Vec<CertificateDer<'static>>,
    /// A name was written: the certificate must be for it.
    is_named: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.certificates.iter().any(|known| known == shown) {
            return Err(Error::General(
                "another certificate than server_cert".to_owned(),
            ));
        }
        if self.is_named {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
