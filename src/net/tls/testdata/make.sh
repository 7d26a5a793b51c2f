#!/bin/sh
# Makes the certificates of the TLS tests anew, valid from 2020 to 2120. The keys guard nothing.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

sign() { # NAME KEY EXTENSIONS SIGNING_ARGUMENTS...
    name=$1 key=$2 extensions=$3
    shift 3
    : > "$work/index"
    printf '%s\n' '[ca]' 'default_ca = a' '[a]' "database = $work/index" "new_certs_dir = $work" \
        'default_md = sha256' 'policy = p' 'rand_serial = yes' '[p]' 'commonName = supplied' > "$work/ca.conf"
    printf '%b\n' "$extensions" > "$work/extensions"
    openssl req -new -key "$key" -subj "/CN=handover test $name" -out "$work/$name.csr"
    openssl ca -batch -notext -config "$work/ca.conf" -extfile "$work/extensions" -in "$work/$name.csr" -out "$name.pem" \
        -startdate 20200101000000Z -enddate 21200101000000Z "$@" 2>/dev/null
}

authority() { # NAME
    key "$work/$1"
    sign "$1" "$work/$1.key" 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign' \
        -selfsign -keyfile "$work/$1.key"
}

leaf() { # NAME AUTHORITY USAGE SUBJECT_ALT_NAME
    key "$1"
    sign "$1" "$1.key" "basicConstraints=CA:FALSE\nextendedKeyUsage=$3\nsubjectAltName=$4" \
        -cert "$2.pem" -keyfile "$work/$2.key"
}

authority ca
authority stranger-ca
leaf server ca serverAuth "DNS:localhost,DNS:db.example,IP:127.0.0.1"
leaf client ca clientAuth "DNS:client.example"
leaf stranger stranger-ca clientAuth "DNS:stranger.example"
chmod 644 ./*.key
