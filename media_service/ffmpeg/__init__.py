"""Everything that starts ffmpeg or ffprobe: what to run, how to run it, what it said."""
