"""Steelyard weighs compressed neural networks on the hardware they will run on: the controller and its Python API."""
