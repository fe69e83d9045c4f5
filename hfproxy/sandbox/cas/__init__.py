"""The sandbox's content-addressed store: what `hf_xet` uploads to and downloads from."""
