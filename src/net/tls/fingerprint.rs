//! What a certificate is known by where nobody has signed it.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls_pki_types::CertificateDer;

/// The SHA-256 of a certificate in its DER form, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a certificate.
    ///
    /// # Panics
    /// Never: the suite whose hash is used is one of TLS 1.3.
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        let suite = TLS13_AES_128_GCM_SHA256
            .tls13()
            .expect("the suite is one of TLS 1.3, as its name says");
        let hash = suite.common.hash_provider.hash(certificate);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hash.as_ref());
        Fingerprint(fingerprint)
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    /// Reads 64 hexadecimal digits, in pairs that colons may separate.
    fn from_str(text: &str) -> Result<Fingerprint, ()> {
        if text.contains(':') && text.split(':').any(|pair| pair.len() != 2) {
            return Err(());
        }
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut fingerprint = [0; 32];
        if digits.len() != 2 * fingerprint.len() {
            return Err(());
        }
        for (byte, pair) in fingerprint.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(());
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Ok(Fingerprint(fingerprint))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let pinned = Fingerprint::of(&CertificateDer::from(b"abc".to_vec()));
        // The SHA-256 of "abc", from the standard that defines it (FIPS 180-2).
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digits.parse(), Ok(pinned));
        assert_eq!(digits.to_uppercase().parse(), Ok(pinned));
        assert_eq!(pinned.to_string().parse(), Ok(pinned));
        for wrong in [
            "",
            "ba78",
            &digits.replace('b', "g"),
            &format!("{digits}00"),
        ] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(()), "{wrong}");
        }
        let uneven = pinned.to_string().replacen("BA:78", "BA7:8", 1);
        assert_eq!(uneven.parse::<Fingerprint>(), Err(()));
    }
}
