"""How images are normalised by default: as torchvision's and most of timm's models expect it."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of colours in 0..1
