"""The interfaces between the host and its plugins (design section 5). Importing this room loads no torch."""

from bench3d.contracts.data import ImageBatch, MultiviewSource, ObjectSequence, PosedFrame, PoseSample, Problem
from bench3d.contracts.encoding import Encoder, ImageRequest, PixelSource, Placing, Session
from bench3d.contracts.executor import Active, Ended, Executor, ExecutorContext, Job
from bench3d.contracts.features import FeatureMap, WeightedMap
from bench3d.contracts.model import FeatureMesh, Given, Model, PoseEstimate
from bench3d.contracts.pairs import KeypointImage, KeypointPair
from bench3d.contracts.progress import NullProgress, Progress
from bench3d.contracts.registration import (
    AdapterRegistration,
    BackboneRegistration,
    CommandRegistration,
    DatasetRegistration,
    Download,
    ExecutorRegistration,
    LoggerRegistration,
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
from bench3d.contracts.tracks import TrackedVideo, VideoFrame
from bench3d.contracts.views import Observations, PosedView, ViewSet

__all__ = [
    "Active",
    "AdapterRegistration",
    "Artifact",
    "BackboneRegistration",
    "CommandRegistration",
    "DatasetRegistration",
    "Download",
    "Encoder",
    "Ended",
    "Executor",
    "ExecutorContext",
    "ExecutorRegistration",
    "FeatureMap",
    "FeatureMesh",
    "FitContext",
    "Given",
    "ImageBatch",
    "ImageRequest",
    "Job",
    "KeypointImage",
    "KeypointPair",
    "LoggerRegistration",
    "MetricSpec",
    "Model",
    "MultiviewSource",
    "NullProgress",
    "ObjectSequence",
    "Observations",
    "PixelSource",
    "Placing",
    "PoseEstimate",
    "PoseSample",
    "PosedFrame",
    "PosedView",
    "Problem",
    "Progress",
    "Protocol",
    "Registration",
    "Renderer",
    "RendererRegistration",
    "Session",
    "ShapeModel",
    "ShapeModelRegistration",
    "Task",
    "TaskRegistration",
    "TrackedVideo",
    "VideoFrame",
    "ViewSet",
    "WeightedMap",
    "Weights",
]
