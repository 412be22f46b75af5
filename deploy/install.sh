#!/bin/sh
# Install the hub, and nothing but what is locked, into a new virtual environment.
#   deploy/install.sh FOLDER
# Run it where pyproject.toml is. The Dockerfile does, and so does a test outside a container.
set -eu

folder=$1
python=${PYTHON:-python3}
pip() { "$build/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"; }

# What builds the hub stays out of what runs it.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"$python" -m venv "$build"
pip install --quiet --require-hashes -r requirements/build.txt
"$python" -m venv --without-pip "$folder"
pip --python "$folder/bin/python" install --quiet --require-hashes -r requirements/hub.txt
pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$build/wheel" .
pip --python "$folder/bin/python" install --quiet --no-deps "$build"/wheel/*.whl
"$folder/bin/python" -m compileall -q "$folder"
"$folder/bin/logout-hub" --version
