"""Storage pools of libvirt, by its program virsh."""
