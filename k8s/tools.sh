#!/usr/bin/env bash
# Builds what tools.txt lists into ${XDG_CACHE_HOME:-~/.cache}/roost/tools, unless it is there. The first time takes ten
# minutes on two cores. What cannot be had is named; the tests that need it say so too.
set -uo pipefail
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roost/tools
while read -r kind name module version folder; do
  at=$cache/$name@$version
  case $kind in
    tool)
      [ -x "$at/$name" ] && continue
      echo "building $name $version: this takes minutes, once"
      (cd / && GOFLAGS= GOBIN=$at CGO_ENABLED=0 nice "${GO:-go}" install "$module@$version") || echo "not to be had: $name $version"
      ;;
    crds)
      [ -d "$at" ] && continue
      dir=$(cd / && GOFLAGS= "${GO:-go}" mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
      { [ -n "$dir" ] && mkdir -p "$cache" && cp -r "$dir/$folder" "$at.new" && chmod -R u+w "$at.new" && mv "$at.new" "$at"; } ||
        echo "not to be had: $name $version"
      ;;
  esac
done < tools.txt
