"""From a network as its author wrote it to the engine's graph.

`module.capture` takes torch modules, `onnx.capture_onnx` ONNX files; `rescale.rescale` carries a
graph to another input size.
"""
