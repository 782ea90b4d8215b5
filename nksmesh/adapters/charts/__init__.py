"""Charts: fetched from a Helm repository or a folder, checked, unpacked safely, and kept in a cache."""
