"""The files a mesh is described in: values/, environments, ``-f`` files; the only place that reads YAML of users."""
