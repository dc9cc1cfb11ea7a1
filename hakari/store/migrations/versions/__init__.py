"""One module a revision, named `v{revision}_{what}`; a released one never changes."""
