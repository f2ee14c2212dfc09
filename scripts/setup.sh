#!/bin/sh
# Installs what the build needs and is missing: clang, which compiles RocksDB (`.cargo/config.toml`), and libclang, which
# the bindings to it are generated with.
# Does nothing where nothing is missing.
set -eu

say() { printf '%s\n' "$*" >&2; }

missing=""
command -v cargo >/dev/null 2>&1 || { say "error: cargo is missing; install the Rust toolchain: https://rustup.rs"; exit 1; }
command -v cc >/dev/null 2>&1 && command -v c++ >/dev/null 2>&1 || missing="$missing build-essential"

# The library alone is not enough: its own C headers (stddef.h) come with the development package.
has_libclang() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        return 0
    fi
    for header in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h \
        /usr/lib64/clang/*/include/stddef.h /opt/homebrew/opt/llvm/lib/clang/*/include/stddef.h; do
        [ -f "$header" ] || continue
        for library in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib64/libclang*.so* \
            /usr/lib/libclang*.so* /opt/homebrew/opt/llvm/lib/libclang.dylib; do
            case "$library" in *libclang-cpp*) continue ;; esac
            [ -e "$library" ] && return 0
        done
    done
    return 1
}
has_libclang || missing="$missing libclang-dev"
# Who names other compilers in the environment needs none.
[ -n "${CC:-}" ] && [ -n "${CXX:-}" ] || { command -v clang >/dev/null 2>&1 && command -v clang++ >/dev/null 2>&1; } || missing="$missing clang"

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    say "error: missing:$missing"
    say "hint: install a C/C++ compiler, clang and libclang with its headers"
    say "      Fedora: dnf install gcc-c++ clang clang-devel · Arch: pacman -S base-devel clang · macOS: brew install llvm"
    exit 1
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { say "error: missing:$missing; install it as root"; exit 1; }
    sudo="sudo"
fi
say "installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
