#!/bin/sh
# Install the hub, with only locked packages, into a new virtual environment.
#   deploy/install.sh FOLDER
# Run it in the folder of pyproject.toml, as the Dockerfile does, and a test outside a container.
set -eu

folder=$1
python=${PYTHON:-python3}
pip() { "$build/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"; }

# Build tools are installed separately, so that they are not in the result.
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
