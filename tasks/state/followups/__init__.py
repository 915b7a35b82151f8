"""What follows a job's end: callbacks to post, and links between the objects of one issue."""
