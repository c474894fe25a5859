# Reads a raft snapshot, which the barrier encrypts.
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
