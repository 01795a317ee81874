"""Why a case fails: an argument for a finding, and renderings of it as text, page and trace."""
