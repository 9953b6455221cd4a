"""Deep Lesion Tracker (Cai et al., CVPR 2021): a Siamese network with an anatomy signal."""
