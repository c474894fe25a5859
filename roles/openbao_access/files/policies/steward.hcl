# Keeps engines, policies, logins and tenants' keys. It reads no data: no decrypt, datakey, export or backup, and it deletes no key
# and no engine. Whoever may write policies could give himself more; the audit log would say so.
path "sys/mounts" { capabilities = ["read"] }
path "sys/mounts/+" { capabilities = ["create", "read", "update"] }
path "sys/mounts/+/tune" { capabilities = ["read", "update"] }
path "sys/auth" { capabilities = ["read"] }
path "sys/auth/cert/tune" { capabilities = ["read", "update", "sudo"] }
path "sys/policies/acl" { capabilities = ["list"] }
path "sys/policies/acl/+" { capabilities = ["create", "read", "update", "delete"] }
path "auth/cert/certs" { capabilities = ["list"] }
path "auth/cert/certs/+" { capabilities = ["create", "read", "update", "delete"] }
# Tenants' keys: made, rotated, described. What would let a key out of OpenBao, or end it, is denied.
path "transit-s3/keys" { capabilities = ["list"] }
path "transit-kms/keys" { capabilities = ["list"] }
path "transit-s3/keys/+" {
  capabilities      = ["create", "read", "update"]
  denied_parameters = { "exportable" = [], "allow_plaintext_backup" = [] }
}
path "transit-kms/keys/+" {
  capabilities      = ["create", "read", "update"]
  denied_parameters = { "exportable" = [], "allow_plaintext_backup" = [] }
}
path "transit-s3/keys/+/rotate" { capabilities = ["update"] }
path "transit-kms/keys/+/rotate" { capabilities = ["update"] }
path "transit-s3/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = { "auto_rotate_period" = [] }
}
path "transit-kms/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = { "auto_rotate_period" = [] }
}
# Keys of OpenBao itself. Recovery keys change only with a threshold of the custodians' shares.
path "sys/rotate/recovery/+" { capabilities = ["create", "read", "update", "delete"] }
path "sys/rotate/keyring" { capabilities = ["update", "sudo"] }
path "sys/rotate/keyring/config" { capabilities = ["read", "update"] }
path "sys/rotate/root" { capabilities = ["update", "sudo"] }
path "sys/key-status" { capabilities = ["read"] }
# Voters, and the end of tokens that should not be.
path "sys/storage/raft/configuration" { capabilities = ["read"] }
path "sys/storage/raft/autopilot/state" { capabilities = ["read"] }
path "sys/storage/raft/remove-peer" { capabilities = ["update"] }
path "auth/token/accessors" { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
