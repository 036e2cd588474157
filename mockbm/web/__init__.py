"""The mock as a Flask application: its endpoints, the admin API and the page for people."""
