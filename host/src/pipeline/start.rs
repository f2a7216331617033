//! Starts an attempt: sinks opened, state restored, partitions and key groups shared out, threads running.

use super::alignment::Lows;
use super::arrival::Arrivals;
use super::commit::{Committer, Identity};
use super::control::Control;
use super::coordinator::WorkerHandle;
use super::error::{Failure, PipelineError, chain};
use super::first::{Firsts, Left};
use super::gauge::Gauge;
use super::inbox::Inbox;
use super::lineage::Lineage;
use super::memory::{self, Memory};
use super::outbox::{self, Hearing};
use super::plan::{Plan, StepPlan};
use super::probe::Probes;
use super::recover::{self, Found, Recovered};
use super::sinks::{CommitPoint, Sinks, kafka_failed, kafka_identity, source_failed};
use super::step::Step;
use super::upgrade::{Trial, plugin_plan};
use super::worker::{Command, Worker, WorkerSettings, WorkerSource, WorkerStep};
use super::{RunOptions, Until};
use crate::batch::TopicPartition;
use crate::checkpoint::{PluginState, Store, extend_tables};
use crate::config::{Pipeline, SourceConnector};
use crate::decode::{Decoder, Projection};
use crate::exchange::{Exchange, Wakers, owner};
use crate::join::Side;
use crate::metrics::{Counters, PluginWork};
use crate::sink::encode::{Encoder, LetterForm};
use crate::source::file::FileSource;
use crate::source::generator::GeneratorSource;
use crate::source::kafka::KafkaSource;
use crate::source::{PartitionInfo, Source, Start};
use crate::state::TableId;
use crate::watermark::{PartitionTime, Partitions, Valve, WATERMARK_NONE};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Bytes of a batch, about.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// A running attempt.
pub(super) struct Started {
    /// Its threads.
    pub workers: Vec<WorkerHandle>,
    /// What commits.
    pub committer: Committer,
    /// To wake the threads.
    pub wakers: Arc<Wakers>,
    /// To stop them.
    pub cancelled: Arc<AtomicBool>,
    /// Set while sources are not to be read.
    pub paused: Arc<AtomicBool>,
    /// The epoch that begins.
    pub epoch: u64,
    /// An upgrade that is on probation from the first record on.
    pub trial: Option<Trial>,
    /// What is read before all else.
    pub firsts: Option<Arc<Left>>,
    /// Set by a worker that waits for a barrier.
    pub pressed: Arc<AtomicBool>,
}

/// Starts from what was committed. None where that is an upgrade's work of which it was not known whether it was: begin again as that.
pub(super) fn start(
    pipeline: &Pipeline,
    plan: &Arc<Plan>,
    options: &RunOptions,
    control: &Arc<Control>,
    counters: &Arc<Counters>,
    store: &mut Store,
    trial: Option<&Trial>,
) -> Result<Option<Started>, PipelineError> {
    let found: Vec<Found> =
        (0..pipeline.sources.len()).map(|it| recover::discover(pipeline, it)).collect::<Result<_, _>>()?;
    let commit_point = CommitPoint::of(pipeline);
    // Fences an older instance before anything is read that it could still change.
    let mut sinks = Sinks::open(pipeline, counters)?;
    let anchors = recover::anchors(pipeline, commit_point, &found);
    let mut advisory = recover::advisory(pipeline, commit_point)?;
    let recovered = recover::recover(pipeline, options, &mut sinks, advisory.as_mut(), &anchors, store)?;
    if trial.is_none() && control.decide_upgrade(recovered.restored.as_ref().map(|it| &it.manifest)) {
        return Ok(None);
    }
    if let Some(restored) = &recovered.restored {
        sinks.publish_again(&restored.manifest.meta.staged)?;
    }
    sinks.discard_uncommitted()?;
    let tables = tables(plan, &recovered)?;
    let scene = Scene {
        pipeline,
        plan,
        options,
        counters,
        probes: &control.probes(plan),
        found: &found,
        recovered: &recovered,
        tables: &tables,
        now_ms: control.clock().now_ms(),
        clock_unix_ms: control.clock().started_unix_ms(),
        probation: trial.map(|it| it.step),
        reads: true,
    };
    let mut workers = build(&scene)?;
    restore(plan, &mut workers.made, &tables, &recovered)?;
    let identity = identity(pipeline, plan, &found, tables);
    let committer = Committer { sinks, commit_point, anchors, advisory, identity, marked: recovered.marked };
    let clock = control.clock();
    let mut handles = Vec::new();
    let wakers = Arc::clone(&workers.wakers);
    let (cancelled, paused) = (Arc::clone(&workers.cancelled), Arc::clone(&workers.paused));
    paused.store(control.is_paused(), Relaxed); // Before a worker could read.
    let pressed = Arc::clone(&workers.pressed);
    let firsts = workers.made.first().and_then(|it| it.firsts.as_ref()).map(Firsts::left);
    for (worker, (commands, reports)) in workers.made.into_iter().zip(workers.ends) {
        let name = format!("worker-{}", worker.index);
        let span = tracing::Span::current(); // What it logs is the pipeline's.
        let run = move || span.in_scope(|| worker.run(|| clock.now_ms()));
        let spawned = std::thread::Builder::new().name(name).spawn(run);
        let thread =
            spawned.map_err(|error| PipelineError::from_error(Failure::Internal, "cannot start a thread", &error))?;
        handles.push(WorkerHandle { commands, reports, thread });
    }
    Ok(Some(Started {
        workers: handles,
        committer,
        wakers,
        cancelled,
        paused,
        epoch: recovered.epoch + 1,
        trial: None,
        firsts,
        pressed,
    }))
}

/// What every commit of an attempt says.
pub(super) fn identity(pipeline: &Pipeline, plan: &Plan, found: &[Found], tables: Tables) -> Identity {
    let names = |found: &Found| found.partitions.iter().map(|it| (it.id, it.name.clone())).collect();
    let partitions = pipeline.sources.iter().zip(found).map(|(source, found)| (source.name.clone(), names(found)));
    Identity {
        group: kafka_identity(pipeline),
        partitions: partitions.collect(),
        steps: plan.steps.iter().map(|it| it.name.clone()).collect(),
        tables: tables.names,
        plugins: plugin_states(plan),
    }
}

/// What the steps with a plugin run, by step name.
pub(super) fn plugin_states(plan: &Plan) -> BTreeMap<String, PluginState> {
    plan.steps.iter().filter_map(|it| Some((it.name.clone(), plugin_state(it)?))).collect()
}

/// What a step runs, where that is a plugin.
pub(super) fn plugin_state(step: &StepPlan) -> Option<PluginState> {
    let plugin = plugin_plan(&step.operation)?;
    let config = Sha256::digest(plugin.options.config.as_bytes());
    Some(PluginState {
        digest: plugin.plugin.digest().to_owned(),
        state_version: plugin.state_version(),
        config: Some(config.iter().map(|it| format!("{it:02x}")).collect()),
    })
}

/// Tables by name: a step's name and what shapes its state, so that state never meets a step of another shape.
pub(super) struct Tables {
    pub names: Vec<String>,
    /// The table of each step.
    pub ids: Vec<TableId>,
}

pub(super) fn tables(plan: &Plan, recovered: &Recovered) -> Result<Tables, PipelineError> {
    let wanted: Vec<String> = plan.steps.iter().map(|it| format!("{} {}", it.name, it.signature())).collect();
    let old = recovered.restored.as_ref().map(|it| it.manifest.meta.tables.clone()).unwrap_or_default();
    for (step, wanted) in plan.steps.iter().zip(&wanted) {
        let of_step = |it: &&String| it.split_once(' ').is_some_and(|(name, _)| name == step.name);
        // The newest one counts: an older one was left behind by a change that the user made knowingly.
        if let Some(other) = old.iter().rfind(of_step).filter(|it| *it != wanted) {
            return Err(PipelineError::stop(
                Failure::Config,
                format!(
                    "step `{}` has state of another shape: it was written by `{other}`, and the step is now `{wanted}`; give the step \
                     another name to begin it anew, or use --discard-state",
                    step.name
                ),
            ));
        }
    }
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let (names, ids) = extend_tables(&old, &wanted);
    Ok(Tables { names, ids })
}

/// Where the coordinator tells a worker, and hears it.
pub(super) type WorkerEnds = (SyncSender<Command>, Hearing);

/// Workers that are not running yet.
pub(super) struct Built {
    pub made: Vec<Worker>,
    /// The coordinator's ends, one a worker.
    pub ends: Vec<WorkerEnds>,
    pub wakers: Arc<Wakers>,
    pub cancelled: Arc<AtomicBool>,
    pub paused: Arc<AtomicBool>,
    /// Set by a worker that waits for a barrier.
    pub pressed: Arc<AtomicBool>,
}

/// What workers are built from.
pub(super) struct Scene<'a> {
    pub pipeline: &'a Pipeline,
    pub plan: &'a Arc<Plan>,
    pub options: &'a RunOptions,
    pub counters: &'a Arc<Counters>,
    pub probes: &'a Arc<Probes>,
    pub found: &'a [Found],
    pub recovered: &'a Recovered,
    pub tables: &'a Tables,
    pub now_ms: u64,
    /// When the clock of `now_ms` was 0, ms since the Unix epoch.
    pub clock_unix_ms: i64,
    /// The step whose plugin must not fail in the first epoch.
    pub probation: Option<usize>,
    /// False where no source is opened: records are handed to the workers.
    pub reads: bool,
}

pub(super) fn build(scene: &Scene<'_>) -> Result<Built, PipelineError> {
    let Scene { pipeline, plan, options, counters, found, recovered, tables, .. } = *scene;
    let count = options.workers;
    let wakers = Wakers::new(count + 1);
    let (cancelled, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let connect = |it: &StepPlan| it.sides().iter().map(|_| Exchange::connect(count, &wakers)).collect();
    let mut exchanges: Vec<Vec<Vec<Exchange>>> = plan.steps.iter().map(connect).collect();
    // Instances of an attempt before are gone.
    counters.per_plugin.iter().for_each(|it| it.memory_bytes.store(0, Relaxed));
    let lows = Lows::new(pipeline.sources.len(), count);
    let pressed = Arc::new(AtomicBool::new(false));
    let scratch = memory::empty_scratch(&options.data_dir.join(&pipeline.name))?;
    let mut firsts = if scene.reads { Firsts::of(pipeline, found, recovered, count) } else { Vec::new() };
    firsts.reverse();
    let (mut made, mut ends) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (command, commands) = sync_channel(2);
        let (outbox, heard) = outbox::outbox();
        let memory = Memory::new(pipeline, (index, count), &scratch, &pressed);
        let mut steps = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            let exchanges: Vec<Exchange> = exchanges[number].iter_mut().map(|it| it.remove(0)).collect();
            let queues = exchanges.len() * count;
            let mut watermark = WATERMARK_NONE;
            // At a barrier a keyed step has the same watermark in every worker. Another step has its worker's own, which says
            // nothing of another worker's partitions: it follows the source's again.
            if let (Some(restored), Some(_)) = (&recovered.restored, &step.key) {
                watermark = restored.manifest.meta.watermarks.get(&step.name).copied().unwrap_or(watermark);
            }
            let mut valve = Valve::new(queues, watermark);
            for side in step.sides() {
                for worker in without_partitions(plan, found, (number, *side), count) {
                    valve.idle(side.index() * count + worker);
                }
            }
            steps.push(WorkerStep {
                step: Step::start(step, tables.ids[number])?,
                inbox: step.key.is_some().then(|| Inbox { exchanges, valve, barriers: vec![false; queues] }),
                watermark,
                reached: watermark,
                said: None,
                epoch: recovered.epoch + 1,
                plan: Arc::new(step.clone()),
                probation: scene.probation == Some(number),
                counted: PluginWork::default(),
            });
        }
        let sources =
            (0..pipeline.sources.len()).map(|it| source(scene, &lows, index, it)).collect::<Result<_, _>>()?;
        let encoder = |(sink, plan): (&crate::config::Sink, &super::plan::SinkPlan)| {
            Encoder::new(&plan.shape, sink.select.as_deref(), sink.format).map_err(|error| {
                PipelineError::stop(Failure::Config, format!("sink `{}`: {}", sink.name, chain(&error)))
            })
        };
        let told = steps.iter().map(|it| it.watermark).collect();
        let mut worker = Worker {
            index,
            workers: count,
            plan: Arc::clone(plan),
            sources,
            steps,
            encoders: pipeline.sinks.iter().zip(&plan.sinks).map(encoder).collect::<Result<_, _>>()?,
            settings: WorkerSettings {
                batch_rows_max: pipeline.batch_rows_max,
                batch_bytes_max: BATCH_BYTES_MAX,
                bad_records: pipeline.bad_records,
                letter_form: pipeline
                    .dead_letters
                    .as_ref()
                    .map_or(LetterForm::Headers, |it| LetterForm::of(&it.connector)),
                end_of_input_closes: options.until != Until::Available,
                source_names: pipeline.sources.iter().map(|it| it.name.clone()).collect(),
            },
            probes: Arc::clone(scene.probes),
            lineages: (0..pipeline.sinks.len()).map(|it| Lineage::new(pipeline, it)).collect(),
            counters: Arc::clone(counters),
            commands,
            outbox,
            wakers: Arc::clone(&wakers),
            cancelled: Arc::clone(&cancelled),
            paused: Arc::clone(&paused),
            epoch: recovered.epoch + 1,
            sealing: None,
            tables: tables.ids.clone(),
            feeds: (0..plan.steps.len()).map(|it| plan.feeds(it)).collect(),
            ended: false,
            gauge: Gauge::new(plan.steps.len()),
            firsts: firsts.pop(),
            arrivals: Arrivals::new(scene.clock_unix_ms, scene.now_ms, told),
            memory,
        };
        worker.furnish();
        worker.begin_lineages();
        made.push(worker);
        ends.push((command, heard));
    }
    Ok(Built { made, ends, wakers, cancelled, paused, pressed })
}

/// The workers that have no partition of the source that feeds `step`. They hold nobody back from the first record on,
/// and not only from when they have said so.
fn without_partitions(plan: &Plan, found: &[Found], step: (usize, Side), workers: usize) -> Vec<usize> {
    let source = (0..found.len()).find(|it| plan.reached_from(*it).contains(&step));
    let reads = move |worker: usize| {
        let of = |source: usize| {
            found[source].partitions.iter().any(|it| TopicPartition::of(it.id).worker(workers) == worker)
        };
        source.is_none_or(of)
    };
    (0..workers).filter(|it| !reads(*it)).collect()
}

/// Source `number` as worker `index` reads it.
fn source(scene: &Scene<'_>, lows: &Lows, index: usize, number: usize) -> Result<WorkerSource, PipelineError> {
    let Scene { pipeline, plan, options, recovered, now_ms, .. } = *scene;
    let (count, found) = (options.workers, &scene.found[number]);
    let source = &pipeline.sources[number];
    let own: Vec<&PartitionInfo> =
        found.partitions.iter().filter(|it| TopicPartition::of(it.id).worker(count) == index).collect();
    let bounded = options.until != Until::Forever;
    // Kafka's topics go on; files and counted generators end by themselves.
    let goes_on = matches!(source.connector, SourceConnector::Kafka(_)) && !bounded;
    let end_of = |it: &PartitionInfo| if goes_on { None } else { it.high };
    let mut starts = Vec::new();
    let mut times = Vec::new();
    for it in &own {
        let offset = recover::start_of(pipeline, number, it, recovered);
        starts.push(Start { partition: it.id, offset, end: end_of(it) });
        let max_ts = recover::position_of(&source.name, it, recovered).and_then(|it| it.max_ts);
        times.push(PartitionTime { partition: it.id, max_time: max_ts.unwrap_or(WATERMARK_NONE), idle: false });
    }
    let mut time = Partitions::new(source.event_time.delay_ms, source.event_time.idle_timeout_ms);
    time.restore(&times, WATERMARK_NONE, now_ms);
    if own.is_empty() && options.until != Until::Available && found.partitions.iter().all(|it| end_of(it).is_some()) {
        time.complete();
    }
    let positions = starts.iter().map(|it| (it.partition, it.offset)).collect();
    let open = starts.len();
    let name = &source.name;
    let reader = match &source.connector {
        _ if starts.is_empty() || !scene.reads => None,
        SourceConnector::Kafka(options) => {
            let reader =
                KafkaSource::open(options, number as u32, starts).map_err(|error| kafka_failed(name, error))?;
            Some(Source::Kafka(reader))
        }
        connector @ (SourceConnector::File { .. } | SourceConnector::Generator { .. }) => {
            let opened = match (&found.files, recover::generator(connector)) {
                (Some(files), _) => FileSource::open(files, number as u32, &starts).map(|it| Some(Source::File(it))),
                (None, Some(options)) => {
                    GeneratorSource::open(options, number as u32, &starts).map(|it| Some(Source::Generator(it)))
                }
                (None, None) => Ok(None),
            };
            opened.map_err(|error| source_failed(name, error))?
        }
    };
    let projection = Projection::plan(&plan.sources[number].wanted, &source.event_time, source.format)
        .map_err(|error| PipelineError::from_error(Failure::Config, &format!("source `{name}`"), &error))?;
    let topics = match &source.connector {
        SourceConnector::Kafka(options) => options.topics().map(str::to_owned).collect(),
        SourceConnector::File { .. } | SourceConnector::Generator { .. } => vec![name.clone()],
    };
    let files = match source.connector {
        SourceConnector::File { .. } => found.partitions.iter().map(|it| it.name.clone()).collect(),
        SourceConnector::Kafka(_) | SourceConnector::Generator { .. } => Vec::new(),
    };
    let timed = plan.reads_time_of(number) || source.event_time.drift_ms_max.is_some();
    let decoder = Decoder::new(if timed { projection } else { projection.without_time() });
    let decoder = if source.changes { decoder.of_changes() } else { Ok(decoder) };
    let decoder =
        decoder.map_err(|error| PipelineError::from_error(Failure::Config, &format!("source `{name}`"), &error))?;
    let alignment = lows.of(source, number, (index, count), &time);
    let first = source.first;
    Ok(WorkerSource { reader, decoder, time, positions, topics, files, open, said: None, alignment, first })
}

/// Gives every entry of the snapshot to the worker that owns its key group now.
pub(super) fn restore(
    plan: &Plan,
    workers: &mut [Worker],
    tables: &Tables,
    recovered: &Recovered,
) -> Result<(), PipelineError> {
    let Some(restored) = &recovered.restored else { return Ok(()) };
    let (count, mut taken) = (workers.len(), 0_usize);
    for step in workers.iter_mut().flat_map(|it| &mut it.steps) {
        step.step.begin(step.watermark);
    }
    restored.visit(|entry| -> Result<(), PipelineError> {
        let Some(step) = tables.ids.iter().position(|it| *it == entry.table) else { return Ok(()) };
        let worker = &mut workers[owner(entry.group, count)];
        worker.steps[step].step.restore(&plan.steps[step], entry)?;
        taken += 1;
        if taken.is_multiple_of(memory::RESTORED_BETWEEN_LOOKS) { worker.keep_within_memory() } else { Ok(()) }
    })?;
    for worker in workers {
        for (step, plan) in worker.steps.iter_mut().zip(&plan.steps) {
            let stored = restored.manifest.meta.plugins.get(&plan.name);
            step.step.resume(plan, step.watermark, stored.map(|it| it.state_version))?;
        }
        worker.keep_within_memory()?;
    }
    Ok(())
}
