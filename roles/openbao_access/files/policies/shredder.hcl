# Deletes a tenant's key. It cannot make, use or export one.
path "transit-s3/keys" { capabilities = ["list"] }
path "transit-kms/keys" { capabilities = ["list"] }
path "transit-s3/keys/+" { capabilities = ["read", "delete"] }
path "transit-kms/keys/+" { capabilities = ["read", "delete"] }
path "transit-s3/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = { "deletion_allowed" = [] }
}
path "transit-kms/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = { "deletion_allowed" = [] }
}
path "auth/token/revoke-self" { capabilities = ["update"] }
