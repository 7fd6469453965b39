//! The states that ECS reports in words. Unknown words are kept as `Other`.

use crate::text_enum::text_enum;

text_enum! {
    /// Where an instance is in its life. A released one is no longer listed.
    pub enum InstanceStatus {
        Pending => "Pending",
        Starting => "Starting",
        Running => "Running",
        Stopping => "Stopping",
        Stopped => "Stopped",
    }
}

text_enum! {
    /// Where an image is in its life.
    pub enum ImageStatus {
        Creating => "Creating",
        /// A copy that waits for its turn.
        Waiting => "Waiting",
        Available => "Available",
        UnAvailable => "UnAvailable",
        CreateFailed => "CreateFailed",
        Deprecated => "Deprecated",
    }
}

text_enum! {
    /// Where a snapshot is in its life.
    pub enum SnapshotStatus {
        Progressing => "progressing",
        Accomplished => "accomplished",
        Failed => "failed",
    }
}

text_enum! {
    /// Where a disk is in its life.
    pub enum DiskStatus {
        InUse => "In_use",
        Available => "Available",
        Attaching => "Attaching",
        Detaching => "Detaching",
        Creating => "Creating",
        ReIniting => "ReIniting",
    }
}

text_enum! {
    /// Where an execution is, on one instance or as a whole.
    pub enum InvocationStatus {
        Pending => "Pending",
        Scheduled => "Scheduled",
        Running => "Running",
        Stopping => "Stopping",
        Success => "Success",
        Failed => "Failed",
        Invalid => "Invalid",
        Aborted => "Aborted",
        Error => "Error",
        Timeout => "Timeout",
        Cancelled => "Cancelled",
        Terminated => "Terminated",
        Stopped => "Stopped",
        PartialFailed => "PartialFailed",
    }
}

impl InvocationStatus {
    /// Whether nothing more will happen. An unknown status counts as not yet the end,
    /// so that who waits for the end runs into his deadline and not into a wrong answer.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Scheduled | Self::Running | Self::Stopping | Self::Other(_)
        )
    }
}

text_enum! {
    /// Language of a Cloud Assistant command.
    pub enum CommandType {
        Shell => "RunShellScript",
        Batch => "RunBatScript",
        PowerShell => "RunPowerShellScript",
    }
}

text_enum! {
    /// Encoding of content in a request or an answer. ECS looks at no case here.
    pub enum ContentEncoding {
        PlainText => "PlainText",
        Base64 => "Base64",
    }
}
