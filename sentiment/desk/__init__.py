"""The desk: pages for people, served beside the API from the published snapshot."""
