//! TLS settings, checked: certificates read, names parsed. The system's root certificates are never used: a database
//! inside a company is seldom signed by one of them, and a sidecar that trusts all of them trusts too many.
//!
//! Refuses to know: where the settings were written. How bytes travel through TLS is in `connection`.

pub(super) mod connection;
mod fingerprint;
mod unsigned;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerConnection, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

pub use fingerprint::Fingerprint;
use unsigned::{Takes, Unsigned};
use watch::Stamp;
pub use watch::{End, Sight, Watch};

/// What a configuration says about TLS towards a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// CA bundle (PEM); the system's roots are not used.
    pub ca: Option<PathBuf>,
    /// Client certificate chain (PEM).
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
    /// The one certificate that the server may show, instead of any that a CA has signed. Its name and its dates are not
    /// looked at.
    pub fingerprint: Option<Fingerprint>,
    /// The name the server's certificate must carry; by default the host of the URL.
    pub server_name: Option<String>,
    /// Accept any certificate; `ca` is then read but not asked.
    pub insecure_skip_verify: bool,
}

/// What a configuration says about TLS towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Certificate chain (PEM).
    pub cert: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// CA bundle (PEM) that must have signed each client's certificate; without it clients need none.
    pub client_ca: Option<PathBuf>,
}

/// TLS towards a server, ready to use.
pub struct Client {
    files: ClientFiles,
    /// The name that is asked for and checked.
    name: ServerName<'static>,
    /// As the files were right before they were first read.
    first_seen: Stamp,
    /// What they held when they were last read with success.
    config: ArcSwap<ClientConfig>,
}

/// TLS towards clients, ready to use.
pub struct Server {
    files: ServerFiles,
    /// As the files were right before they were first read.
    first_seen: Stamp,
    /// What they held when they were last read with success.
    config: ArcSwap<ServerConfig>,
}

/// What is wrong with the settings. Carries names of files, never what is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or does not hold what it should.
    #[error("{}: {reason}", file.display())]
    File {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A setting is missing that another one needs.
    #[error("{reason}")]
    Missing {
        /// The missing setting.
        key: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// The name is neither a DNS name nor an address.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    ServerName {
        /// The name.
        name: String,
    },
}

impl Error {
    /// The setting that is at fault, by its name in the configuration.
    pub fn key(&self) -> &'static str {
        match self {
            Error::File { key, .. } | Error::Missing { key, .. } => key,
            Error::ServerName { .. } => "server_name",
        }
    }
}

impl ClientFiles {
    fn stamp(&self) -> Stamp {
        let files = [&self.ca, &self.cert, &self.key];
        Stamp::of(files.into_iter().flatten().map(PathBuf::as_path))
    }
}

impl ServerFiles {
    fn stamp(&self) -> Stamp {
        let files = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        Stamp::of(files.into_iter().flatten().map(PathBuf::as_path))
    }
}

impl Client {
    /// Reads the files. `host` is the name that the server's certificate must carry unless the settings name another.
    /// All errors come at once.
    pub fn load(files: &ClientFiles, host: &str) -> Result<Client, Vec<Error>> {
        let name = files.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            vec![Error::ServerName {
                name: name.to_owned(),
            }]
        });
        let first_seen = files.stamp();
        let (name, config) = both(name, client_config(files))?;
        Ok(Client {
            files: files.clone(),
            name,
            first_seen,
            config: ArcSwap::from_pointee(config),
        })
    }

    /// Reads the files again. Connections made from now on use what they hold; on an error nothing changes.
    pub fn reload(&self) -> Result<(), Vec<Error>> {
        self.config.store(Arc::new(client_config(&self.files)?));
        Ok(())
    }

    /// Where the certificates came from.
    pub fn files(&self) -> &ClientFiles {
        &self.files
    }

    pub(super) fn session(&self) -> Result<rustls::Connection, rustls::Error> {
        ClientConnection::new(self.config.load_full(), self.name.clone()).map(Into::into)
    }
}

impl Server {
    /// Reads the files. All errors come at once.
    pub fn load(files: &ServerFiles) -> Result<Server, Vec<Error>> {
        let first_seen = files.stamp();
        let config = server_config(files)?;
        Ok(Server {
            files: files.clone(),
            first_seen,
            config: ArcSwap::from_pointee(config),
        })
    }

    /// Reads the files again. Connections accepted from now on use what they hold; on an error nothing changes.
    pub fn reload(&self) -> Result<(), Vec<Error>> {
        self.config.store(Arc::new(server_config(&self.files)?));
        Ok(())
    }

    /// Where the certificates came from.
    pub fn files(&self) -> &ServerFiles {
        &self.files
    }

    pub(super) fn session(&self) -> Result<rustls::Connection, rustls::Error> {
        ServerConnection::new(self.config.load_full()).map(Into::into)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("files", &self.files)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn client_config(files: &ClientFiles) -> Result<ClientConfig, Vec<Error>> {
    let provider = Arc::new(ring::default_provider());
    let (verifier, identity) = both(server_verifier(files, &provider), client_identity(files))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of both protocol versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { file, chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| vec![unfit(file, &error)]),
    }
}

fn server_config(files: &ServerFiles) -> Result<ServerConfig, Vec<Error>> {
    let provider = Arc::new(ring::default_provider());
    let (verifier, identity) = both(
        client_verifier(files, &provider),
        Identity::read(&files.cert, &files.key),
    )?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of both protocol versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| vec![unfit(identity.file, &error)])
}

fn server_verifier(
    files: &ClientFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Vec<Error>> {
    if let Some(fingerprint) = files.fingerprint {
        return Ok(Arc::new(Unsigned::new(
            Takes::Only(fingerprint),
            provider.clone(),
        )));
    }
    let roots = files.ca.as_deref().map(|ca| roots("ca", ca)).transpose()?;
    match (files.insecure_skip_verify, roots) {
        (true, _) => Ok(Arc::new(Unsigned::new(Takes::Any, provider.clone()))),
        (false, None) => Err(vec![Error::Missing {
            key: "ca",
            reason: "a CA bundle is needed, or insecure_skip_verify = true (the system's roots are not used)",
        }]),
        (false, Some((file, roots))) => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            verifier
                .map(|verifier| verifier as _)
                .map_err(|error| vec![unfit_ca("ca", file, &error)])
        }
    }
}

fn client_verifier(
    files: &ServerFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Vec<Error>> {
    let Some(client_ca) = &files.client_ca else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let (file, roots) = roots("client_ca", client_ca)?;
    WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| vec![unfit_ca("client_ca", file, &error)])
}

fn client_identity(files: &ClientFiles) -> Result<Option<Identity>, Vec<Error>> {
    let missing = |key, reason| Err(vec![Error::Missing { key, reason }]);
    match (&files.cert, &files.key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Identity::read(cert, key).map(Some),
        (Some(_), None) => missing("key", "the key of cert is needed"),
        (None, Some(_)) => missing("cert", "the certificate of key is needed"),
    }
}

/// A certificate chain and the key of its first certificate.
struct Identity {
    /// The chain's file, for errors.
    file: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn read(cert: &Path, key: &Path) -> Result<Identity, Vec<Error>> {
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| vec![unreadable("key", key, &error)]);
        let (chain, key) = both(certificates("cert", cert), private)?;
        Ok(Identity {
            file: cert.to_owned(),
            chain,
            key,
        })
    }
}

fn roots(key: &'static str, file: &Path) -> Result<(PathBuf, Arc<RootCertStore>), Vec<Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        roots
            .add(certificate)
            .map_err(|error| vec![unfit_ca(key, file.to_owned(), &error)])?;
    }
    Ok((file.to_owned(), Arc::new(roots)))
}

fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, Vec<Error>> {
    let read = || -> Result<Vec<_>, pem::Error> {
        let certificates = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            Err(pem::Error::NoItemsFound)
        } else {
            Ok(certificates)
        }
    };
    read().map_err(|error| vec![unreadable(key, file, &error)])
}

/// The parser's own words may quote the file, which may hold a key.
fn unreadable(key: &'static str, file: &Path, error: &pem::Error) -> Error {
    let reason = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound if key == "key" => "no private key in it".to_owned(),
        pem::Error::NoItemsFound => "no certificate in it".to_owned(),
        _ => "not valid PEM".to_owned(),
    };
    Error::File {
        key,
        file: file.to_owned(),
        reason,
    }
}

fn unfit(file: PathBuf, error: &rustls::Error) -> Error {
    Error::File {
        key: "cert",
        file,
        reason: format!("the certificate and its key cannot be used: {error}"),
    }
}

fn unfit_ca(key: &'static str, file: PathBuf, error: &dyn fmt::Display) -> Error {
    Error::File {
        key,
        file,
        reason: format!("cannot be used as a CA bundle: {error}"),
    }
}

/// Both values, or the errors of both.
fn both<A, B>(a: Result<A, Vec<Error>>, b: Result<B, Vec<Error>>) -> Result<(A, B), Vec<Error>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err()).flatten().collect()),
    }
}
