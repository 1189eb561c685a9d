"""Commands that need the platform; only their options stand here, since it takes seconds to import."""
