#!/usr/bin/env bash
# Rebuild the full headline set from Debian's package descriptions and their translations.
#
#   preprocess/ddtp.sh OUT [--langs en,fr,zh_CN,de] [--suites bullseye,bookworm,trixie,sid]
#
# Writes OUT/{lang}.{train,valid,test}.tsv.xz (package, md5, description, synopsis). Needs Debian's
# apt-get, python3, 90 MB of download, 500 MB in TMPDIR and about five minutes, but no root: apt
# works in a private folder, and the system's own lists stay as they are. The mirror is the one
# that apt is configured with; DEBIAN_MIRROR=URI names another.
set -euo pipefail
PYTHON=${PYTHON:-python3} # no packages are needed
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

langs=en,fr,zh_CN,de suites=bullseye,bookworm,trixie,sid out=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --langs | --suites) [ $# -gt 1 ] || fail "$1 needs a value"
      declare "${1#--}=$2"; shift 2 ;;
    -*) fail "unknown option $1 (--help)" ;;
    *) [ -z "$out" ] || fail "one output folder, not also $1"
      out=$1; shift ;;
  esac
done
[ -n "$out" ] || fail "name the output folder (--help)"
command -v apt-get > /dev/null || fail "no apt-get here: run this on a Debian machine"
grep -qsx 'ID=debian' /etc/os-release || [ -n "${DEBIAN_MIRROR:-}" ] ||
  fail "this is not Debian: set DEBIAN_MIRROR to a Debian mirror's URI"

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT

# The first configured archive of a Debian release, but not its security or updates suites.
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mirror=${DEBIAN_MIRROR:-$(apt-get update --print-uris | sed -nE \
  "s#^'(.*)/dists/(${release:-stable}|stable|testing|unstable|sid)/InRelease' .*#\1#p" | head -n 1)}
[ -n "$mirror" ] || fail "apt has no Debian archive configured: set DEBIAN_MIRROR"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[ ! -f "$keyring" ] || signed="[signed-by=$keyring] "
mkdir -p "$state/lists/partial" "$state/cache"
for suite in ${suites//,/ }; do echo "deb $signed$mirror $suite main"; done > "$state/sources.list"
cat > "$state/apt.conf" << EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::Languages;
Acquire::Languages { "${langs//,/\"; \"}"; };
Acquire::GzipIndexes "false";
APT::Sandbox::User "$(id -un)";
Dir::State "$state";
Dir::State::Lists "$state/lists";
Dir::State::status "/dev/null";
Dir::Cache "$state/cache";
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
EOF
apt-get -c "$state/apt.conf" -qq --error-on=any update ||
  fail "apt could not fetch the lists of $suites (--suites chooses others)"
(run_module ddtp build --lists "$state/lists" --out "$out" --langs "$langs" --suites "$suites")
