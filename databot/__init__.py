"""databot: an agent daemon for data teams."""
