"""The interfaces between the host and its plugins (design section 5). Importing this room loads no torch."""

from bench3d.contracts.data import ImageBatch, MultiviewSource, ObjectSequence, PosedFrame, PoseSample, Problem
from bench3d.contracts.features import FeatureMap, WeightedMap
from bench3d.contracts.model import Given, Model, PoseEstimate
from bench3d.contracts.progress import NullProgress, Progress
from bench3d.contracts.registration import (
    AdapterRegistration,
    BackboneRegistration,
    CommandRegistration,
    DatasetRegistration,
    ExecutorRegistration,
    Protocol,
    Registration,
    RendererRegistration,
    ShapeModelRegistration,
    TaskRegistration,
    Weights,
)
from bench3d.contracts.renderer import Renderer
from bench3d.contracts.shape import Artifact, FitContext, ShapeModel
from bench3d.contracts.task import MetricSpec, Task

__all__ = [
    "AdapterRegistration",
    "Artifact",
    "BackboneRegistration",
    "CommandRegistration",
    "DatasetRegistration",
    "ExecutorRegistration",
    "FeatureMap",
    "FitContext",
    "Given",
    "ImageBatch",
    "MetricSpec",
    "Model",
    "MultiviewSource",
    "NullProgress",
    "ObjectSequence",
    "PoseEstimate",
    "PoseSample",
    "PosedFrame",
    "Problem",
    "Progress",
    "Protocol",
    "Registration",
    "Renderer",
    "RendererRegistration",
    "ShapeModel",
    "ShapeModelRegistration",
    "Task",
    "TaskRegistration",
    "WeightedMap",
    "Weights",
]
