"""Fits tell the observers what they report."""

from dataclasses import replace

from bench3d.runner import fit_all, plan_fits

WATCHER = """
    from bench3d.plugins import hookimpl
    HEARD = []
    @hookimpl
    def bench3d_fit_step(component, category, recipe, stage, step, values):
        HEARD.append((component, category, recipe, stage, step, dict(values)))
        values.clear()
    @hookimpl
    def bench3d_fit_finished(component, category, recipe, facts):
        HEARD.append((component, category, recipe, sorted(facts)))
        raise RuntimeError("never fatal")
"""


def test_observers_hear_of_a_fit_in_order_and_once(fakes, spec, told, install, monkeypatch):
    install("watcher", WATCHER)
    import watcher_plugin

    real, kept = fakes.create_shape, []

    def create_shape(settings):
        shape = real(settings)
        fit = shape.fit

        def reporting(model, source, context):
            for stage in ("template", "appearance"):
                context.progress.start(stage, 100)
                for step in (50, 100):
                    kept.append({"loss": 1 / step, "step": 7.0})
                    context.progress.report(step, kept[-1])
                context.progress.finish()
            context.progress.say("heard as ever")
            return fit(model, source, context)

        shape.fit = reporting
        return shape

    monkeypatch.setattr(fakes, "create_shape", create_shape)
    plan = plan_fits(replace(spec, task=None, categories=("car",)))
    fit_all(plan, told)
    who = ("fake-shape", "car", plan.jobs[0].recipe)
    told_of = [(stage, step) for stage in ("template", "appearance") for step in (50, 100)]
    steps = [(*who, stage, step, {"loss": 1 / step, "step": 7.0}) for stage, step in told_of]
    heard = watcher_plugin.HEARD
    assert heard == [*steps, (*who, ["training_objects"])]
    assert all(values for values in kept)  # what an observer does to its values is its own affair
    assert "heard as ever" in told.lines
    fit_all(plan_fits(replace(spec, task=None, categories=("car",))), told)
    assert len(heard) == 5  # nothing was fitted
