# What the scripts share; source it. PYTHON names another Python than the PATH's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python}
script=${0##*/} script=${script%.sh}
helps= # --help is asked for, which needs any Python and nothing else
for word in "$@"; do case $word in -h | --help) helps=1 ;; esac; done
[ -z "$helps" ] || command -v "$python" > /dev/null || python=python3

fail() { echo "$script: $*" >&2; exit 1; }
outside() { fail "$*: activate the virtual environment first (. .venv/bin/activate; make install makes it)"; }

# needs_modules NAME...: this Python has them.
needs_modules() {
  local missing
  [ -z "$helps" ] || return 0
  command -v "$python" > /dev/null || outside "there is no $python on the PATH"
  missing=$("$python" -c 'import sys; from importlib.util import find_spec
sys.path.pop(0)  # the working directory, which the script itself does not search
print(*[name for name in sys.argv[1:] if find_spec(name) is None])' "$@")
  [ -z "$missing" ] || outside "$python lacks ${missing// /, }"
}

# needs_commands NAME...: they are on the PATH.
needs_commands() {
  local name
  [ -z "$helps" ] || return 0
  for name in "$@"; do
    command -v "$name" > /dev/null || outside "there is no $name on the PATH"
  done
}

# run_module NAME ARGUMENT...: becomes preprocess.NAME of this repository, from any working
# directory, which is not searched for modules.
run_module() {
  exec "$python" -c 'import runpy, sys
_, sys.path[0], name, helps, *sys.argv[1:] = sys.argv
if helps:
    from preprocess.common import stand_ins
    stand_ins.install()
runpy.run_module(f"preprocess.{name}", run_name="__main__", alter_sys=True)' "$here/.." "$1" "$helps" "${@:2}"
}
