"""Training of the disaggregator's models: TensorFlow in, ONNX file and card out. Nothing else imports it."""
