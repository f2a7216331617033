//! The figures of a pipeline: what the engine counts, by the names of the pipeline file.

use super::upgrade::plugin_of;
use crate::batch::{EventTime, TopicPartition};
use crate::config::{Input, Pipeline, Source};
use crate::daemon::api::{
    CommitTimes, Figures, LateRecords, PartitionFigures, PluginFigures, SinkFigures, SourceFigures, StepFigures,
    WorkerFigures,
};
use crate::metrics::{CommitsRead, FAULTS, LatenessRead, PartitionView, Progress};
use crate::pipeline::{Flow, PluginFlow};
use crate::watermark::WATERMARK_NONE;

/// What it has done. By step, source and sink only where the pipeline is known.
pub(super) fn figures(progress: &Progress, flow: &Flow, pipeline: Option<&Pipeline>) -> Figures {
    Figures {
        records_in: progress.records_in,
        records_out: progress.records_out,
        late: progress.late,
        lateness: lateness(&progress.lateness),
        lateness_sum_ms: progress.lateness.sum_ms,
        dead_letters: progress.dead_letters,
        dropped: progress.dropped,
        filtered: progress.filtered,
        lag: progress.lag,
        watermark_ms: progress.watermark,
        epoch: progress.epoch,
        checkpoint_ms: progress.checkpoint_ms,
        commits: commits(&progress.commits),
        commits_sum_us: progress.commits.sum_us,
        checkpoint_age_ms: progress.checkpoint_age_ms,
        state_keys: progress.state_keys,
        state_bytes: progress.state_bytes,
        spilled_bytes: progress.view.spilled_bytes(),
        workers: workers(progress),
        sources: pipeline.map(|it| sources(progress, it)).unwrap_or_default(),
        steps: pipeline.map(|it| steps(progress, flow, it)).unwrap_or_default(),
        sinks: pipeline.map(|it| sinks(flow, it)).unwrap_or_default(),
    }
}

fn lateness(read: &LatenessRead) -> Vec<LateRecords> {
    let some = read.buckets().filter(|it| it.1 > 0);
    some.map(|(up_to_ms, records)| LateRecords { up_to_ms, records }).collect()
}

fn commits(read: &CommitsRead) -> Vec<CommitTimes> {
    let some = read.buckets().filter(|it| it.1 > 0);
    some.map(|(up_to_us, commits)| CommitTimes { up_to_us, commits }).collect()
}

fn workers(progress: &Progress) -> Vec<WorkerFigures> {
    let workers = progress.view.workers.iter();
    workers.map(|it| WorkerFigures { busy: share(it.busy), backpressured: share(it.backpressured) }).collect()
}

fn sources(progress: &Progress, pipeline: &Pipeline) -> Vec<SourceFigures> {
    let partitions = progress.view.partitions();
    let of = |index: usize| partitions.iter().filter(move |it| it.source == index);
    let source = |(index, source): (usize, &Source)| {
        let holds = progress.view.held_back_by(&[index]);
        SourceFigures {
            source: source.name.clone(),
            partitions: of(index).map(|it| partition(source, it)).collect(),
            held_back_by: holds.map(|it| TopicPartition::of(it.partition).number),
            held_back_by_topic: holds.and_then(|it| source.topic(it.partition)).map(str::to_owned),
        }
    };
    pipeline.sources.iter().enumerate().map(source).collect()
}

fn partition(source: &Source, view: &PartitionView) -> PartitionFigures {
    PartitionFigures {
        partition: TopicPartition::of(view.partition).number,
        topic: source.topic(view.partition).map(str::to_owned),
        records_in: view.records,
        rate: tenths(view.rate),
        next_offset: view.next_offset,
        lag: view.lag,
        watermark_ms: known(view.watermark),
        idle: view.idle,
        ended: view.ended,
    }
}

fn steps(progress: &Progress, flow: &Flow, pipeline: &Pipeline) -> Vec<StepFigures> {
    let figures = |index: usize| {
        let name = pipeline.steps.get(index)?.name.clone();
        let (records_in, records_out) = *flow.steps.get(index)?;
        let did = flow.plugins.get(index)?;
        let view = progress.view.step(index);
        let held_back_by = progress.view.held_back_by(&sources_of(pipeline, index));
        let holds = |it: &PartitionView| {
            let source = pipeline.sources.get(it.source)?;
            Some(format!("{}/{}", source.name, partition(source, it).name()))
        };
        Some(StepFigures {
            records_in,
            records_out,
            refused: *flow.refused.get(index)?,
            rate: tenths(view.rate),
            busy: share(view.busy),
            backpressured: share(view.backpressured),
            watermark_ms: known(view.watermark),
            held_back_by: held_back_by.and_then(holds),
            state_keys: view.state_keys,
            memory_bytes: view.memory_bytes,
            spilled_keys: view.spilled_keys,
            checkpoint_bytes: view.checkpoint_bytes,
            plugin: plugin_of(pipeline, &name).map(|_| plugin(did)),
            step: name,
        })
    };
    (0..pipeline.steps.len()).filter_map(figures).collect()
}

/// The sources that a step's records come from, by index.
fn sources_of(pipeline: &Pipeline, step: usize) -> Vec<usize> {
    let (mut found, mut seen, mut open) = (Vec::new(), Vec::new(), vec![step]);
    while let Some(step) = open.pop() {
        let Some(step) = pipeline.steps.get(step).filter(|_| !seen.contains(&step)).inspect(|_| seen.push(step)) else {
            continue;
        };
        for input in [&step.from].into_iter().chain(step.with()) {
            match input {
                Input::Source(source) => found.push(*source),
                Input::Step(before, _) => open.push(*before),
            }
        }
    }
    found
}

fn plugin(did: &PluginFlow) -> PluginFigures {
    let faults = FAULTS.iter().zip(&did.faults).filter(|it| *it.1 > 0);
    PluginFigures {
        calls: did.calls,
        busy_ns: did.busy_ns,
        faults: faults.map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        memory_bytes: did.memory_bytes,
        instances_replaced: did.replaced,
    }
}

fn sinks(flow: &Flow, pipeline: &Pipeline) -> Vec<SinkFigures> {
    let sinks = pipeline.sinks.iter().zip(&flow.sinks);
    sinks.map(|(sink, &records_out)| SinkFigures { sink: sink.name.clone(), records_out }).collect()
}

fn known(watermark: EventTime) -> Option<i64> {
    Some(watermark).filter(|it| *it > WATERMARK_NONE)
}

/// More digits would say more than was measured.
fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

fn share(share: f64) -> f64 {
    (share * 1e3).round() / 1e3
}
