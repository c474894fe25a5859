"""OpenBao's external KMS plugin for seals in a PKCS#11 token, on Debian's own Python packages."""
