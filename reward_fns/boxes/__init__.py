"""Boxes of the grounding reward: how they are read, in which space they are written, and how far two of them overlap.

    reading            the boxes in a response's answer and in a gold
      json_boxes       boxes in a JSON value
      prose_boxes      boxes in any other text
      coordinate_names x1, top, width, ...: the box that named numbers give
    spaces             coordinate spaces of the model families, and the resizing of their processors
    overlap            IoU, GIoU, and their mean over the best matching of several boxes
      matching         the best one-to-one matching

A box is (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2.
"""
