"""Every topic and payload: the public interface, declared once."""
