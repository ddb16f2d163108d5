"""Attribution graphs: what of a prompt made which feature and which prediction, by how much."""
