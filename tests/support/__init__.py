"""What tests of the real gateway stand on: a scripted upstream, the gateway's process, real clients."""
