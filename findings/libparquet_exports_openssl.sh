#!/usr/bin/env bash
# Guess: the libraries in the pyarrow wheel keep the copies they bring of other libraries to
# themselves, as libarrow does. libparquet does not: it exports about 1,900 functions of an OpenSSL
# of its own, without versions. A C++ program that names libparquet before libcrypto calls those,
# and so does the system's libssl in it. Needs gcc, nm (binutils) and libssl-dev. Exits 1 when that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --only-binary=:all: pyarrow==22.0.0
libraries=$("$folder/venv/bin/python" -c 'import pyarrow; print(pyarrow.get_library_dirs()[0])')
exported() { nm -D --defined-only "$1" | grep -cE ' T (EVP_|X509_|OSSL_|SHA256_)' || true; }
arrow=$(exported "$libraries/libarrow.so.2200")
parquet=$(exported "$libraries/libparquet.so.2200")
echo "pyarrow 22.0.0: functions of OpenSSL exported by libarrow: $arrow, by libparquet: $parquet"
cat > "$folder/who.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/evp.h>
#include <stdio.h>
int main(void) {
  Dl_info info;
  if (!dladdr((void *)&EVP_sha256, &info)) return 1;
  puts(info.dli_fname);
}
C
link() {
  gcc -fPIE "$folder/who.c" -o "$folder/who" -Wl,--no-as-needed -Wl,-rpath,"$libraries" "$@" &&
    "$folder/who"
}
first=$(link "$libraries/libparquet.so.2200" "$libraries/libarrow.so.2200" -lstdc++ -lcrypto)
second=$(link -lcrypto "$libraries/libparquet.so.2200" "$libraries/libarrow.so.2200" -lstdc++)
echo "EVP_sha256 of a program linked to libparquet, then libcrypto: $(basename "$first")"
echo "EVP_sha256 of a program linked to libcrypto, then libparquet: $(basename "$second")"
[[ $arrow -eq 0 && $parquet -gt 1000 && $first == *libparquet* && $second == *libcrypto* ]]
