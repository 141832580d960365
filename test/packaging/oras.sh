#!/bin/sh
# Stands in for oras (oras.land), which Debian does not have, with the one command that docs/administration.md shows:
# `oras push REGISTRY/REPOSITORY:TAG FILE:TYPE` leaves the same artifact in a registry.
set -eu
[ "$1" = push ] && [ $# -eq 3 ]
name=${2#*/} file=${3%%:*} type=${3#*:} work=$(mktemp -d)
repository=https://${2%%/*}/v2/${name%:*}

put() {
  curl -fsS -X PUT -H "Content-Type: $1" --data-binary "@$2" "$3"
}

# Pushes a file, and prints how a manifest names it.
blob() {
  place=$(curl -fsS -X POST -D - -o "$work/answer" "$repository/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  digest=sha256:$(sha256sum "$1" | cut -d ' ' -f 1)
  put application/octet-stream "$1" "$place&digest=$digest"
  printf '"digest":"%s","size":%s' "$digest" "$(wc -c < "$1")"
}

printf '{}' > "$work/config"
config=$(blob "$work/config")
layer=$(blob "$file")
manifest=application/vnd.oci.image.manifest.v1+json
cat > "$work/manifest" << J
{
  "schemaVersion": 2,
  "mediaType": "$manifest",
  "artifactType": "application/vnd.unknown.artifact.v1",
  "config": { "mediaType": "application/vnd.oci.empty.v1+json", $config },
  "layers": [{ "mediaType": "$type", $layer, "annotations": { "org.opencontainers.image.title": "$file" } }]
}
J
put "$manifest" "$work/manifest" "$repository/manifests/${name##*:}"
