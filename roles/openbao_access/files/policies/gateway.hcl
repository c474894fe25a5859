# A gateway makes, and opens, data keys of tenants. Nothing else: `+` is one segment, so that keys/X/rotate, keys/X/config and
# export/ stay out of reach.
path "transit-s3/datakey/plaintext/+" { capabilities = ["update"] }
path "transit-s3/decrypt/+" { capabilities = ["update"] }
path "transit-kms/datakey/plaintext/+" { capabilities = ["update"] }
path "transit-kms/decrypt/+" { capabilities = ["update"] }
# The gateway asks for a bucket's key before its first use. Onboarding has made it; one that nobody made is a finding.
# What would let a key out of OpenBao cannot be asked for.
path "transit-s3/keys/+" {
  capabilities       = ["update"]
  allowed_parameters = { "type" = ["chacha20-poly1305"], "derived" = [true] }
}
# Its own token.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
