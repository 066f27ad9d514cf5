"""From an unknown database to a source's folder: survey, candidates, skeleton SQL, connector, grants."""
