"""Datasets: the embedded MNIST, Kaggle's CSV files, pictures of single digits, and augmentation."""

from .augmentation import augment
from .digits import DataError, Mnist, Split, mnist, mnist_split
from .kaggle_csv import kaggle
from .picture import digit_image

__all__ = ["mnist", "mnist_split", "kaggle", "digit_image", "augment", "Mnist", "Split", "DataError"]
