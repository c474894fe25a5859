# A node keeps the passphrases of its own drives: the common name of its login is the first segment.
path "drive-keys/data/{{identity.entity.aliases.@cert_accessor@.name}}/+" { capabilities = ["create", "read"] }
path "drive-keys/metadata/{{identity.entity.aliases.@cert_accessor@.name}}" { capabilities = ["list"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
