"""What makes a backbone's folder: Hugging Face import and vocabulary trimming."""
