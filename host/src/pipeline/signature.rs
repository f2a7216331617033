//! What shapes a step's state, as text: state of one signature is never read by a step of another.

use super::plan::{OperationPlan, StepPlan};
use crate::config::{Emit, Window};

impl StepPlan {
    /// What shapes the step's state, as text. Stored with the state: another signature is another shape.
    pub(super) fn signature(&self) -> String {
        let signature = self.operation_signature();
        if self.processing_time { format!("processing-time {signature}") } else { signature }
    }

    fn operation_signature(&self) -> String {
        let key = self.key_names.join(",");
        match &self.operation {
            OperationPlan::Transform(_) | OperationPlan::Select(_) => "stateless".to_owned(),
            OperationPlan::Keyed(_) => format!("keyed key={key}"),
            OperationPlan::Join(join) => join.signature(),
            OperationPlan::Tables(part, join) => format!("{} {}", format!("{part:?}").to_lowercase(), join.signature()),
            OperationPlan::Dedupe { within_ms } => format!("dedupe={within_ms}ms key={key}"),
            OperationPlan::Top { window, top, by, columns, emit, .. } => {
                let column = |it: &usize| {
                    let column = &self.input.columns[*it];
                    format!("{}:{}", column.name, column.kind.name())
                };
                let columns = columns.iter().map(column).collect::<Vec<_>>().join(",");
                let order = if top.largest { "desc" } else { "asc" };
                let window = window_signature(window, *emit);
                format!("{window} key={key} top={} by={}:{} {order} ({columns})", top.k, top.by, by.kind.name())
            }
            OperationPlan::WindowPlugin { window, emit, .. } => {
                format!("plugin {} key={key}", window_signature(window, *emit))
            }
            OperationPlan::Window { window, aggregates, emit, .. } => {
                let aggregates = aggregates.iter().map(|(it, kind)| {
                    let field = it.field.as_deref().unwrap_or_default();
                    format!("{:?}({field}:{})", it.function, kind.name()).to_lowercase()
                });
                let aggregates = aggregates.collect::<Vec<_>>().join(",");
                format!("{} key={key} {aggregates}", window_signature(window, *emit))
            }
        }
    }
}

/// What shapes a window's state. `emit` does so only where windows remember what they wrote.
fn window_signature(window: &Window, emit: Emit) -> String {
    let assigner = match window {
        Window::Tumbling { size_ms, offset_ms } => format!("tumbling={size_ms}ms offset={offset_ms}ms"),
        Window::Hopping { size_ms, slide_ms, offset_ms } => {
            format!("hopping={size_ms}ms slide={slide_ms}ms offset={offset_ms}ms")
        }
        Window::Session { gap_ms, touching, gap_field } => {
            let boundary = if *touching { " inclusive" } else { "" };
            let field = gap_field.as_ref().map(|it| format!(" gap={it}")).unwrap_or_default();
            format!("session={gap_ms}ms{boundary}{field}")
        }
        Window::Rolling { size_ms } => format!("rolling={size_ms}ms"),
        Window::Sliding { difference_ms } => format!("sliding={difference_ms}ms"),
        Window::Calendar { unit, zone } => format!("calendar={unit:?} zone={zone}").to_lowercase(),
        Window::Count { records, every } => format!("count={records} every={every}"),
        Window::Global => "global".to_owned(),
    };
    match emit {
        Emit::Repeatedly(firing) => {
            let accumulate = format!("{:?}", firing.accumulate).to_lowercase();
            let upsert = if firing.upsert { " upsert" } else { "" };
            format!("{assigner} repeated {accumulate}{upsert}")
        }
        // After every record each window is a pane of its own.
        Emit::OnUpdate if matches!(window, Window::Hopping { .. }) => format!("{assigner} apart"),
        Emit::OnClose | Emit::OnUpdate | Emit::Every { .. } => assigner,
    }
}
